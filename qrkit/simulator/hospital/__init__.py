"""The simulated hospital: people, equipment, procedures and studies."""
