//! Notification for real: programs that are run and pipes that are written to.
//!
//! Lines go into the pipes at once. Programs wait in one queue and run one at a time, in the order of the events; one
//! that takes longer than `PATIENCE` is left alone and told of, so that it cannot hold up all others. Nothing here
//! keeps the event loop waiting. Mails have a queue of their own.

pub(super) mod pipe;
mod postman;

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::programs::{Programs, Runnable, Running};
use crate::config::Config;
use crate::notify::mail::Post;
use crate::notify::{Herald, Notice};
use crate::program::Program;
use crate::vrrp::{Event, Role};
use pipe::Pipe;
use postman::Postman;

/// How long the next program waits for the one before.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a director that ends waits for its programs.
const FAREWELL: Duration = Duration::from_secs(5);

/// Tells of elections whom the configuration names.
#[derive(Debug)]
pub struct Notifier {
    herald: Herald,
    programs: Programs,
    pipes: Vec<Pipe>,
    postman: Option<Postman>,
    /// What it was started for.
    post: Option<Post>,
    queue: UnboundedSender<Call>,
    runner: JoinHandle<()>,
}

/// A program to run.
#[derive(Debug)]
struct Call {
    what: Program,
    ready: Runnable,
    added: Vec<String>,
}

impl Notifier {
    /// Opens the pipes and starts their readers. Must be called inside a `LocalSet`.
    pub fn start(config: &Config) -> Self {
        let programs = Programs::new(config);
        let pipes = config.global.pipes.iter().filter_map(|pipe| Pipe::open(pipe, &programs)).collect();
        let (queue, calls) = unbounded_channel();
        let runner = tokio::task::spawn_local(run(calls));
        let (post, postman) = (config.global.post.clone(), Postman::start(config));
        Self { herald: herald(config), programs, pipes, post, postman, queue, runner }
    }

    /// Goes over to another configuration: whoever was told of a role is not told of it again. `was` gives the number that
    /// an instance had before. Pipes that are still wanted stay open.
    pub fn follow(&mut self, config: &Config, was: impl Fn(usize) -> Option<usize>) {
        let before = std::mem::replace(&mut self.herald, herald(config));
        self.herald.goes_on(&before, was);
        self.programs = Programs::new(config);
        let wanted = &config.global.pipes;
        let (mut kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pipes).into_iter().partition(|pipe| wanted.contains(pipe.spec()));
        for mut pipe in gone {
            // At once: another one may come in its place.
            pipe.take_away();
            tokio::task::spawn_local(pipe.close());
        }
        for spec in wanted {
            let same = kept.iter().position(|pipe| pipe.spec() == spec);
            let pipe = same.map(|same| kept.swap_remove(same)).or_else(|| Pipe::open(spec, &self.programs));
            self.pipes.extend(pipe);
        }
        if config.global.retells_roles {
            let lines = self.herald.standing();
            lines.iter().for_each(|line| self.pipes.iter_mut().for_each(|pipe| pipe.write(line)));
        }
        if config.global.post != self.post {
            self.post.clone_from(&config.global.post);
            let before = std::mem::replace(&mut self.postman, Postman::start(config));
            before.map(|postman| tokio::task::spawn_local(postman.finish(FAREWELL)));
        }
    }

    /// Tells of an event.
    pub fn tell(&mut self, event: &Event) {
        for notice in self.herald.hear(event) {
            match notice {
                Notice::Line(line) => self.pipes.iter_mut().for_each(|pipe| pipe.write(&line)),
                Notice::Run { program, added } => self.call(program, added),
                Notice::Mail(mail) if mail.role == Role::Fault && self.spares_faults() => {}
                Notice::Mail(mail) => self.postman.iter().for_each(|postman| postman.send(mail.clone())),
            }
        }
    }

    /// The director ends: what is due is done, within some seconds. Readers of pipes see their end.
    pub async fn finish(self) {
        drop(self.queue);
        if timeout(FAREWELL, self.runner).await.is_err() {
            tracing::warn!(
                "notification: programs took longer than {FAREWELL:?}; those that did not start yet will not"
            );
        }
        for pipe in self.pipes {
            pipe.close().await;
        }
        if let Some(postman) = self.postman {
            postman.finish(FAREWELL).await;
        }
    }

    /// `no_email_faults`.
    fn spares_faults(&self) -> bool {
        self.post.as_ref().is_some_and(|post| post.no_faults)
    }

    fn call(&self, what: Program, added: Vec<String>) {
        match self.programs.runnable(&what) {
            // The runner listens until the queue is dropped.
            Ok(ready) => _ = self.queue.send(Call { what, ready, added }),
            Err(refusal) => tracing::error!("notification: `{what}` was not run: {refusal}"),
        }
    }
}

fn herald(config: &Config) -> Herald {
    let mut herald = Herald::new();
    for instance in &config.instances {
        herald.instance(&instance.election.name, &instance.hooks, instance.election.priority);
    }
    for group in &config.groups {
        herald.group(&group.name, &group.hooks, &group.members);
    }
    herald
}

/// Runs programs one after the other, until there is nobody left to ask for one.
async fn run(mut calls: UnboundedReceiver<Call>) {
    while let Some(Call { what, ready, added }) = calls.recv().await {
        match ready.start(&added) {
            Ok(child) => wait(&what, child).await,
            Err(error) => tracing::error!("notification: `{what}` was not run: {error}"),
        }
    }
}

async fn wait(what: &Program, mut child: Running) {
    match timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!("notification: `{what}` ended with {status}"),
        Ok(Err(error)) => tracing::warn!("notification: `{what}`: {error}"),
        Err(_) => {
            tracing::warn!("notification: `{what}` still runs after {PATIENCE:?}; the next one does not wait for it");
            // Somebody has to wait for its end, or it stays behind as a zombie.
            tokio::task::spawn_local(async move { child.wait().await });
        }
    }
}
