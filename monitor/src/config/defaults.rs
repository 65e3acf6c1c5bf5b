//! Every default, and the limits of every setting.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Bytes of ring buffer for each packet socket.
pub const BUFFER: usize = 16 << 20;
/// What the buffer may be: libpcap makes blocks of 256 KiB of it, and with one block frames are lost whenever it is read;
/// it takes it as a signed 32-bit number.
pub const BUFFERS: RangeInclusive<u64> = 1 << 20..=1 << 30;
/// Capture threads for each interface.
pub const THREADS: usize = 1;
/// What the threads may be.
pub const MOST_THREADS: u64 = 64;
/// Where programs and counters are pinned.
pub const PIN_PATH: &str = "/sys/fs/bpf/oopsd";
/// The most memory that counters in the kernel take.
pub const KERNEL_MEMORY: u64 = 1 << 30;
/// What that may be.
pub const KERNEL_MEMORIES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// How far apart samples are.
pub const TICK: Duration = Duration::from_millis(100);
/// What a tick may be.
pub const TICKS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);
/// Over how long a rate is measured.
pub const WINDOW: Duration = Duration::from_secs(1);
/// Over how long a slope is fitted.
pub const SLOPE_WINDOW: Duration = Duration::from_secs(5);
/// What both windows may be at most.
pub const LONGEST_WINDOW: Duration = Duration::from_hours(1);
/// The share of frames lost from which the capture counts as blind.
pub const LOST_SHARE: f64 = 0.01;

/// Names of zones, at most.
pub const MOST_ZONES: usize = 1_000_000;
/// Service prefixes, at most: each message is compared with all of them.
pub const MOST_PREFIXES: usize = 256;

/// Falling as a share of rising.
pub const FALLING: f64 = 0.7;
/// How long a condition stays over rising before it is met.
pub const FOR: Duration = Duration::ZERO;
/// How long it stays under falling before it is cleared.
pub const KEEP_FOR: Duration = Duration::from_secs(60);
/// With fewer responses with one of the codes in the window, their share counts as 0.
pub const AT_LEAST_RESPONSES: u64 = 10;
/// What `for` and `keep-for` may be at most.
pub const LONGEST_HOLD: Duration = Duration::from_hours(24);

/// How much longer a ladder without steps makes the AS path, step by step. The second is for routes with `evidence` alone: by the
/// rate alone sites that still answer would climb it too, and more goes unanswered at the others (a fleet on paper).
pub const PREPENDS: [u8; 2] = [1, 2];
/// Between two steps up. With a half-life of 15 minutes, flap damping (RFC 2439) never suppresses changes so far apart.
pub const STEP_EVERY: Duration = Duration::from_mins(10);
/// How long a step is kept: longer than BGP and resolvers take to settle.
pub const HOLD: Duration = Duration::from_mins(10);
/// What `step-every` and `hold` may be.
pub const LADDER_TIMES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(24);
/// Changes of a route in an hour: the fifth is suppressed where damping is strictest.
pub const CHANGES: u64 = 4;
/// What `changes-per-hour` may be: up, and back.
pub const CHANGES_RANGE: RangeInclusive<u64> = 2..=3600;
/// Withdrawals of a route in an hour: where withdrawing and announcing both count, the second is suppressed.
pub const WITHDRAWALS: u64 = 1;
/// What `withdrawals-per-hour` may be.
pub const WITHDRAWALS_RANGE: RangeInclusive<u64> = 1..=3600;
/// After this long a route returns to plain by itself: longer than the attack on the root servers of 2015-11-30, which took 160 minutes.
pub const MAX_HOLD: Duration = Duration::from_hours(3);
/// What `max-hold` may be.
pub const MAX_HOLDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(30 * 24);

/// How often an Alertmanager is told again what is met, as Prometheus does it.
pub const REPEAT: Duration = Duration::from_mins(1);
/// What `repeat` may be.
pub const REPEATS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// BIRD's control socket.
pub const BIRD_SOCKET: &str = "/run/bird/bird.ctl";
/// The file that bird.conf includes. BIRD needs it to start: it must outlive a boot.
pub const BIRD_INCLUDE: &str = "/var/lib/oopsd/bird/oopsd.conf";

/// Where what routes have been through is kept, if systemd does not say.
pub const STATE_DIRECTORY: &str = "/var/lib/oopsd";

/// The pipes of ExaBGP where Debian's service makes them, without `.in` and `.out`.
pub const EXABGP_PIPES: &str = "/run/exabgp/exabgp";
/// The API of GoBGP.
pub const GOBGP_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50051);

/// Where `/metrics` is served when `[metrics]` says nothing else.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9553);

/// How many signals may wait for a channel.
pub const QUEUE: usize = 10_000;
/// What the queue may be at most.
pub const MOST_QUEUE: u64 = 1_000_000;
/// How many bytes of them.
pub const QUEUE_SIZE: usize = 16 << 20;
/// What the bytes may be: one signal at least.
pub const QUEUE_SIZES: RangeInclusive<u64> = 64 << 10..=1 << 30;
/// How long one attempt of a webhook may take.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// What `timeout` may be.
pub const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// What it may be for syslog by TLS, which looks for 0.3 s after the handshake whether the other side takes it.
pub const SYSLOG_TLS_TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);
/// How long a program of a channel may run.
pub const EXEC_TIMEOUT: Duration = Duration::from_secs(10);
/// What its `timeout` may be.
pub const EXEC_TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
/// Where the syslog of this host listens.
pub const SYSLOG_SOCKET: &str = "/dev/log";
/// What the topics of MQTT begin with.
pub const MQTT_TOPIC: &str = "oopsd/v1";
/// How often an MQTT broker hears of us at least: after one and a half times that it says that we are gone.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What `keep-alive` may be: MQTT has 16 bits of seconds for it.
pub const KEEP_ALIVES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
/// How long the broker then waits for us to come back: longer than a connection that broke takes.
pub const WILL_DELAY: Duration = Duration::from_secs(5);
/// What `will-delay` may be.
pub const WILL_DELAYS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
/// For how long mitigation is asked for at a time, as RFC 9132 section 4.4.1 recommends.
pub const DOTS_LIFETIME: Duration = Duration::from_hours(1);
/// What that may be.
pub const DOTS_LIFETIMES: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
/// How long asking for it may take at a time: a handshake, and two tries more if the network loses much.
pub const DOTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Prefixes in one request, at most: it is one datagram.
pub const DOTS_PREFIXES: usize = 16;
/// How long a signal is tried for: a receiver may be down for a night.
pub const GIVE_UP: Duration = Duration::from_hours(24);
/// What `give-up` may be.
pub const GIVE_UPS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(7 * 24);
