//! What the control sockets are asked: how routes are, and to take them back; what waits for channels, and what becomes of it.

use super::Daemon;
use crate::channel::Desk;
use crate::control::{Answer, Asked, Request, Route};
use std::time::Duration;

impl Daemon {
    /// Does what is asked, and says what came of it. Does not wait for routers.
    pub(super) fn answer(&mut self, asked: Asked) {
        let answer = match asked.request {
            Request::Routes => Answer::Routes(self.routes()),
            Request::Release { prefixes, seconds } => self.release(&prefixes, seconds.map(Duration::from_secs)),
            request @ (Request::Outbox | Request::Waiting { .. } | Request::Retry { .. } | Request::Drop { .. }) => {
                // There may be a hundred thousand: not on the thread that judges.
                let desk = self.channels.desk();
                self.runtime.spawn_blocking(move || asked.answer.send(waiting(&desk, &request)));
                return;
            }
        };
        // Who asked may have gone.
        let _ = asked.answer.send(answer);
    }

    fn routes(&self) -> Vec<Route> {
        let status = self.routers.status().into_iter().map(|status| Route {
            prefix: status.prefix,
            router: status.router,
            wanted: status.wanted.map(|action| action.to_string()),
            seen: status.seen.map(|action| action.to_string()),
            error: status.error,
        });
        status.collect()
    }

    /// All of these prefixes, or nothing.
    fn release(&mut self, prefixes: &[String], time: Option<Duration>) -> Answer {
        let mut routes = self.routes();
        if let Some(unknown) = prefixes.iter().find(|prefix| routes.iter().all(|route| route.prefix != **prefix)) {
            let known: Vec<&str> = routes.iter().map(|route| route.prefix.as_str()).collect();
            return Answer::Error(format!("there is no route {unknown}; there are: {}", known.join(", ")));
        }
        routes.retain(|route| prefixes.is_empty() || prefixes.contains(&route.prefix));
        let release = |route: &Route| self.engine.release(&route.router, &route.prefix, time);
        let intents: Vec<_> = routes.iter().filter_map(release).collect();
        for intent in &intents {
            tracing::info!(prefix = intent.prefix, router = intent.router, "released by an operator");
        }
        self.announce(&intents);
        for route in &mut routes {
            route.wanted = Some(String::from("plain"));
        }
        Answer::Routes(routes)
    }
}

fn waiting(desk: &Desk, request: &Request) -> Answer {
    let answer = match request {
        Request::Waiting { channel, from } => desk.waiting(channel, *from).map(Answer::Waiting),
        Request::Retry { channel } => desk.retry(channel.as_deref()).map(Answer::Retried),
        Request::Drop { channel, numbers } => desk.discard(channel, numbers.as_deref()).map(Answer::Dropped),
        Request::Outbox | Request::Routes | Request::Release { .. } => Ok(Answer::Outbox(desk.rows())),
    };
    answer.unwrap_or_else(Answer::Error)
}
