//! Stands in for `serve` in a build without that feature: `--serve` is refused.

use std::net::SocketAddr;

use super::exit::CliError;
use crate::pipeline::Controller;

/// Never made.
pub enum Server {}

impl Server {
    /// Refuses the address.
    ///
    /// # Errors
    /// Always.
    pub fn bind(_address: SocketAddr) -> Result<Self, CliError> {
        Err(CliError::usage(
            "this build has no live page",
            "leave out --serve, or build with --features serve",
        ))
    }

    /// Is never called: there is no server.
    ///
    /// # Errors
    /// None.
    pub fn start(self, _run: Controller) -> Result<Self, CliError> {
        match self {}
    }

    /// Is never called: there is no server.
    pub fn finish(self) {
        match self {}
    }
}
