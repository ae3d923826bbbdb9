"""What people look at: pictures of answers."""
