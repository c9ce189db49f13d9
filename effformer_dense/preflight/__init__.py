"""Everything that is checked before long work. A check writes nothing."""
