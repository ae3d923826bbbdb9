"""The objects of the simulated hospital: documents, images, dose reports."""
