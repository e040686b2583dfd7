"""From a network to a plan of its hardware: schedule, memories, widths and cost."""
