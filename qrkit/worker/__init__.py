"""The worker: runs retrieve jobs, owns the Storage SCP, and outlives the notebook that started it."""
