//! The judge itself: what BIRD does to a session is what the listener writes down.

use anyhow::{Result, ensure};
use tests::bgp::What;
use tests::bgp::message::Message;
use tests::lab::bird::{Bird, Version};
use tests::lab::peering::{HOST_AS, Peering, V4, V6};
use tests::lab::{SOON, until};

#[test]
fn what_bird_says_is_written_down() -> Result<()> {
    let Some(lab) = Peering::new(&["bird"])? else { return Ok(()) };
    let config = |med| CONFIG.replace("{med}", med);
    let bird = Bird::start(Version::Two, &lab.host, &config("10"))?;
    let listener = &lab.listener;
    listener.up(2, SOON)?;
    for prefix in [V4, V6] {
        listener.reaches(prefix, SOON, |route| {
            route.is_some_and(|route| {
                route.path == [HOST_AS, HOST_AS]
                    && route.med == Some(10)
                    && route.communities == [(64999, 7), (65535, 0)]
            })
        })?;
    }
    let opens = listener.records().into_iter().filter(
        |record| matches!(&record.what, What::Message(Message::Open(open)) if open.asn == HOST_AS && open.wide),
    );
    ensure!(opens.count() == 2, "{:?}", listener.records());

    let mark = listener.mark();
    bird.configure(&config("20"))?;
    listener.reaches(V6, SOON, |route| route.is_some_and(|route| route.med == Some(20)))?;
    listener.undisturbed(mark)?;

    bird.ask("disable own4")?;
    listener.reaches(V4, SOON, |route| route.is_none())?;
    ensure!(listener.withdrawals(mark).iter().any(|(_, prefix)| prefix.to_string() == V4));
    ensure!(listener.undisturbed(mark).is_err());

    let mark = listener.mark();
    bird.ask("disable up6")?;
    listener.up(1, SOON)?;
    let notice = |record: &tests::bgp::Record| matches!(record.what, What::Message(Message::Notification(6, _)));
    ensure!(listener.session_changes(mark).iter().any(notice), "{:?}", listener.since(mark));

    drop(bird);
    until("no session is left", SOON, || (listener.established() == 0).then_some(()))?;
    ensure!(listener.path(V6).is_none());
    Ok(())
}

const CONFIG: &str = "
router id 192.0.2.1;
protocol device {}
protocol static own4 { ipv4; route 192.0.2.0/24 blackhole; }
protocol static own6 { ipv6; route 2001:db8::/48 blackhole; }
filter to_upstream {
  bgp_path.prepend(64999);
  bgp_med = {med};
  bgp_community.add((65535, 0));
  bgp_community.add((64999, 7));
  accept;
}
protocol bgp up4 {
  local 10.53.0.1 as 64999; neighbor 10.53.0.2 as 64998;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { next hop self; import none; export filter to_upstream; };
}
protocol bgp up6 {
  local fd53::1 as 64999; neighbor fd53::2 as 64998;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv6 { next hop self; import none; export filter to_upstream; };
}
";
