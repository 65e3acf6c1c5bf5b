//! oopsd's routers against routing daemons that are BGP speakers themselves, judged at the upstream by what came over the wire.

mod exabgp;
mod gobgp;
mod suite;
