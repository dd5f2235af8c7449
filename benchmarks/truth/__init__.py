"""Whether the statistics keep their word: studies whose truth is known, and what is said about them."""
