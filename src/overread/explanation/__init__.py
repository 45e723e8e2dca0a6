"""Why did a network answer so? Maps, each on trial; what is inside the network; which cases are alike."""
