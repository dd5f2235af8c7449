"""Building blocks of vision networks, as their papers define them, and a catalogue of what fills which slot."""
