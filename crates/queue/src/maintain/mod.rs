//! Daemons that keep a namespace in order.
