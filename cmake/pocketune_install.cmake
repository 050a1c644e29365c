# Filled in with the install tree.
