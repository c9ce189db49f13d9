"""All checks that run before long work starts. A check writes nothing."""
