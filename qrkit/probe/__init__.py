"""The probe of a node: trials of a few small C-FIND requests each, which fill the profile."""
