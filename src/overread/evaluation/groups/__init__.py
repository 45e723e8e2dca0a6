"""The endpoint in groups of cases: sex, age, site, scanner, size."""
