"""Ways to the answer that are not disease: probes, marks, acquisition, and the rule that controls false alarms."""
