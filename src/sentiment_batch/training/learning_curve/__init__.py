"""The learning curve: models of fewer labelled rows, and what their accuracy says about more of them."""
