"""What users see: pure functions from jobs, queue and catalog to embeds, views and choices."""
