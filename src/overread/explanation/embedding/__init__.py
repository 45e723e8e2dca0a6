"""Cases as points: what the last layer sees of them, which lie near each other, and whether a site can be told from it."""
