"""Where answers come from, ours or anybody's, and those that are missing."""
