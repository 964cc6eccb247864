"""Files that come with the package and are not code: instrument profiles."""
