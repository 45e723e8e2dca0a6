"""The command line: one thin file per verb. A verb turns words into a call of `overread.workflow`, and the result into words."""
