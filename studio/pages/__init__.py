"""The pages: one file each, with `build(services)` and, where scripts may call, `endpoints(services)`."""
