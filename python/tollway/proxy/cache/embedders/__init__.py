"""Second opinions on questions: embedders besides the built-in one."""
