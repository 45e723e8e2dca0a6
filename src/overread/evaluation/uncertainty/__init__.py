"""Does the uncertainty of an answer tell where it is wrong?"""
