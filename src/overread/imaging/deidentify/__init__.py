"""Identifying attributes taken out of files, after DICOM PS3.15 Annex E, with a log that holds counts and no values."""
