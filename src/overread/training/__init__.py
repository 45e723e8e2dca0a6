"""How a network learns: the plan, the loop, optimizers and schedules, checkpoints."""
