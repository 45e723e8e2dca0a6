"""What the number of cases can and cannot show."""
