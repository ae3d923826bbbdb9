"""The façade, against the simulator and real archives: what a person at a notebook sees."""
