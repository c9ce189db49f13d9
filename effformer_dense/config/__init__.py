"""Reading a config: overrides and switches applied, registry names looked up, data sets seen as what they mean."""
