"""What is fitted on tuning cases and frozen: operating points, calibration, sets, clean-up of masks."""
