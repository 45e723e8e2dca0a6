"""Attribution methods on trial: criteria that a map must meet before it is shown, each with its rule and its reason."""
