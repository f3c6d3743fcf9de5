"""Public data sets, from the copy that a user has to the arrays that a model trains on."""
