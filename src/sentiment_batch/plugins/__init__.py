"""The plugin system: hook specifications, registries, and the manager that loads plugins."""
