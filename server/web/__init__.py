"""The pages that people see: templates, styles, ES modules and translations. Nothing here needs a build step."""
