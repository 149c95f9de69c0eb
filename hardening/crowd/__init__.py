"""A thousand connections that never finish their request, and the normal traffic beside them."""
