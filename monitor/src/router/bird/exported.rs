//! What BIRD exports, as it prints it: whether a route shows what its level adds.

use super::Error;
use super::constants::Level;
use super::control::Control;
use engine::Action;
use ipnet::IpNet;

/// A protocol of `protocols` that exports `prefix` and does not show `level`. One that does not export it is none: it is down, of the other
/// family, or the operator withdrew it.
pub(super) async fn hidden(
    control: &mut Control,
    protocols: &[String],
    prefix: IpNet,
    level: Level,
) -> Result<Option<String>, Error> {
    for protocol in protocols {
        let reply = control.ask(&format!("show route {prefix} export {protocol} all")).await?;
        let exported = !reply.is_error() && reply.texts(1007).any(|row| !row.starts_with("Table "));
        if exported && !shows(level.action(), &reply.lines().collect::<Vec<_>>()) {
            return Ok(Some(protocol.clone()));
        }
    }
    Ok(None)
}

/// One of these that is no BGP protocol of BIRD's.
pub(super) async fn missing(control: &mut Control, protocols: &[String]) -> Result<Option<String>, Error> {
    for protocol in protocols {
        let reply = control.ask(&format!("show protocols {protocol}")).await?;
        let is_bgp = reply.texts(1002).any(|row| {
            let mut columns = row.split_whitespace();
            columns.next() == Some(protocol) && columns.next() == Some("BGP")
        });
        if !is_bgp {
            return Ok(Some(protocol.clone()));
        }
    }
    Ok(None)
}

/// Whether a route, as BIRD prints it, has what `action` adds. BIRD 2 and BIRD 3 call attributes by different names.
fn shows(action: Action, lines: &[&str]) -> bool {
    let value = |names: [&str; 2]| lines.iter().find_map(|line| names.iter().find_map(|name| line.strip_prefix(name)));
    let has = |of: u16, number: u16| {
        let community = format!("({of},{number})");
        lines.iter().any(|line| line.split_whitespace().any(|word| word == community))
    };
    match action {
        Action::Plain | Action::Withdraw => true,
        Action::Prepend(times) => {
            let path = value(["BGP.as_path:", "bgp_path:"]).unwrap_or_default();
            let front: Vec<&str> = path.split_whitespace().take(usize::from(times)).collect();
            front.len() == usize::from(times) && front.windows(2).all(|pair| matches!(pair, [a, b] if a == b))
        }
        Action::Med(med) => value(["BGP.med:", "bgp_med:"]).is_some_and(|shown| shown.trim() == med.to_string()),
        Action::Community(of, number) => has(of, number),
        Action::GracefulShutdown => has(65535, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_by_the_names_of_both_versions() {
        for route in [
            "Type: static univ\nBGP.as_path: 64999 64999 64998\nBGP.med: 200\nBGP.community: (64999,1) (64999,666)\n(65535,0)",
            "source: static\nbgp_path: 64999 64999 64998\nbgp_med: 200\nbgp_community: (64999,1) (64999,666)\n(65535,0)",
        ] {
            for action in ["prepend 1", "prepend 2", "med 200", "community 64999:666", "graceful-shutdown", "plain"] {
                assert!(shows(action.parse().unwrap(), &route.lines().collect::<Vec<_>>()), "{action}: {route}");
            }
            for action in ["prepend 3", "prepend 4", "med 20", "community 64999:66", "community 999:666"] {
                assert!(!shows(action.parse().unwrap(), &route.lines().collect::<Vec<_>>()), "{action}: {route}");
            }
        }
    }

    #[test]
    fn a_route_without_attributes_shows_nothing() {
        for action in ["prepend 1", "med 0", "community 1:1", "graceful-shutdown"] {
            assert!(!shows(action.parse().unwrap(), &["Type: static univ"]), "{action}");
        }
    }
}
