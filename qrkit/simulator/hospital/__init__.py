"""What the simulated hospital has: people, sites, studies."""
