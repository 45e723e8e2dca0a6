"""Patients, exams and images that are not apart."""
