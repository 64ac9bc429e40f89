//! Systems that tests of several areas share. Each is started by the first test that needs it and ended with the process.

use std::sync::LazyLock;

use e2e::system::{Options, System};

/// With every default, in one process. Tests use people of their own in it and leave the demo data alone.
pub(crate) static PLAIN: LazyLock<System> = LazyLock::new(|| System::start(&Options::new()));

/// Where an access token is old after two seconds.
pub(crate) static SHORT_LIVED: LazyLock<System> =
    LazyLock::new(|| System::start(&Options::new().set("token.access_ttl", "2s")));
