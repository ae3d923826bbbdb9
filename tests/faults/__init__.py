"""Faults at random points of real retrieves: who acts, what strikes, and what must hold in the end."""
