"""What is asked of a result later: on other patients, after corrected truths, under an imperfect reference."""
