//! `[[hooks]]` of crossfade.toml.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::event::HookEvent;
use super::event::Kind;
use super::secret::Secret;
use crate::config::parse_duration;
use crate::web::Proxy;

/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// How long a command may take, and all tries of a webhook together.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// More tries would not be had within any timeout.
const MOST_RETRIES: u32 = 20;

/// What is called when something happens, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// The folder in which commands run.
    pub folder: PathBuf,
    /// What webhooks are sent through.
    pub proxy: Option<Proxy>,
    /// Each of them.
    pub each: Vec<Hook>,
}

/// Somebody to tell, or something to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What it is called where it is spoken of. Its command and its address may hold secrets, and are not shown.
    pub name: String,
    /// When it is called.
    pub on: Vec<HookEvent>,
    /// What is called.
    pub call: Call,
    /// How long one call may take, with all its tries.
    pub timeout: Duration,
    /// How long a wait must last before it is `blocked` or `paused`.
    pub after: Duration,
}

/// What a hook calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A command of the shell.
    Command {
        /// It.
        run: Secret,
        /// Whether nothing goes on where it fails before a phase.
        required: bool,
    },
    /// An address on the web.
    Webhook {
        /// It.
        address: Secret,
        /// What is sent there.
        format: Format,
        /// How often it is tried again.
        retries: u32,
    },
}

/// What a webhook is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The document as it is.
    Json,
    /// A text for Slack.
    Slack,
    /// An event for PagerDuty, with the key of the service.
    PagerDuty(Secret),
}

/// From where hooks are called.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// The folder in which commands run.
    pub folder: PathBuf,
    /// What webhooks are sent through.
    pub proxy: Option<Proxy>,
}

impl Hook {
    /// Whether it must succeed before this goes on.
    pub fn is_required(&self) -> bool {
        match self.call {
            Call::Command { required, .. } => required,
            Call::Webhook { .. } => false,
        }
    }

    /// Whether the run waits for it: for a command before something.
    pub(super) fn is_waited_for(&self, event: HookEvent) -> bool {
        event.is_before() && matches!(self.call, Call::Command { .. })
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match &self.call {
            Call::Command { .. } => "command",
            Call::Webhook { format: Format::Json, .. } => "webhook",
            Call::Webhook { format: Format::Slack, .. } => "slack",
            Call::Webhook { format: Format::PagerDuty(_), .. } => "pagerduty",
        }
    }
}

impl Hooks {
    /// From where they are called.
    pub(super) fn around(&self) -> Around {
        Around { folder: self.folder.clone(), proxy: self.proxy.clone() }
    }

    /// Fills in what stands in variables of the environment, which the caller reads: addresses, keys and the proxy. One that is not set is said when the
    /// hook is called.
    pub fn resolve(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        self.proxy = Proxy::from_variables(lookup);
        for hook in &mut self.each {
            if let Call::Webhook { address, format, .. } = &mut hook.call {
                address.resolve(lookup);
                if let Format::PagerDuty(key) = format {
                    key.resolve(lookup);
                }
            }
        }
    }
}

/// One of `[[hooks]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookTable {
    name: Option<String>,
    on: Spanned<Vec<Spanned<String>>>,
    run: Option<Spanned<String>>,
    webhook: Option<Spanned<String>>,
    webhook_env: Option<Spanned<String>>,
    format: Option<Spanned<String>>,
    routing_key: Option<Spanned<String>>,
    routing_key_env: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    retries: Option<Spanned<u32>>,
    required: Option<Spanned<bool>>,
    after: Option<Spanned<String>>,
}

/// What is wrong, and where.
pub(crate) type Wrong = (Range<usize>, String);

/// Reads one hook. `number` counts from 1.
pub(crate) fn read(table: &Spanned<HookTable>, number: usize) -> Result<Hook, Wrong> {
    let (span, table) = (table.span(), table.get_ref());
    let mut on = Vec::new();
    for name in table.on.get_ref() {
        let event = HookEvent::by_name(name.get_ref());
        let wrong = || (name.span(), format!("\"{}\" is no event; they are {}", name.get_ref(), HookEvent::names()));
        on.push(event.ok_or_else(wrong)?);
    }
    if on.is_empty() {
        return Err((table.on.span(), "a hook that is on nothing is never called".to_owned()));
    }
    let call = match (&table.run, &table.webhook, &table.webhook_env) {
        (Some(run), None, None) => command(table, run, &on)?,
        (None, _, _) => webhook(table, span, &on)?,
        (Some(run), _, _) => {
            return Err((run.span(), "a hook has either a command (run) or an address (webhook)".to_owned()));
        }
    };
    let default = match call {
        Call::Command { .. } => COMMAND_TIMEOUT,
        Call::Webhook { .. } => WEBHOOK_TIMEOUT,
    };
    let timeout = duration(table.timeout.as_ref())?.unwrap_or(default);
    if let Some(said) = table.timeout.as_ref().filter(|_| timeout.is_zero()) {
        return Err((said.span(), "in no time nothing can be done".to_owned()));
    }
    let after = duration(table.after.as_ref())?.unwrap_or(Duration::from_secs(30));
    let mut hook = Hook { name: String::new(), on, call, timeout, after };
    hook.name = table.name.clone().unwrap_or_else(|| format!("hook {number} ({})", hook.kind()));
    Ok(hook)
}

fn duration(text: Option<&Spanned<String>>) -> Result<Option<Duration>, Wrong> {
    text.map(|text| parse_duration(text.get_ref()).map_err(|why| (text.span(), why.to_string()))).transpose()
}

fn command(table: &HookTable, run: &Spanned<String>, on: &[HookEvent]) -> Result<Call, Wrong> {
    let of_webhooks = [
        table.format.as_ref().map(Spanned::span),
        table.retries.as_ref().map(Spanned::span),
        table.routing_key.as_ref().map(Spanned::span),
        table.routing_key_env.as_ref().map(Spanned::span),
    ];
    if let Some(span) = of_webhooks.into_iter().flatten().next() {
        return Err((span, "this is for a webhook, and the hook has a command".to_owned()));
    }
    if run.get_ref().trim().is_empty() || run.get_ref().contains('\0') {
        return Err((run.span(), "this is no command".to_owned()));
    }
    let required = table.required.as_ref().is_some_and(|required| *required.get_ref());
    if let Some(said) = table.required.as_ref().filter(|_| required && !on.iter().any(|event| event.is_before())) {
        return Err((
            said.span(),
            "only a hook that is on before-… can be required: nothing else can be stopped".to_owned(),
        ));
    }
    Ok(Call::Command { run: Secret::said(run.get_ref().clone()), required })
}

fn webhook(table: &HookTable, span: Range<usize>, on: &[HookEvent]) -> Result<Call, Wrong> {
    if let Some(required) = table.required.as_ref().filter(|required| *required.get_ref()) {
        return Err((required.span(), "a webhook can't be required: a dead one would stop every migration".to_owned()));
    }
    let format = match &table.format {
        None => Format::Json,
        Some(format) => match format.get_ref().as_str() {
            "json" => Format::Json,
            "slack" => Format::Slack,
            "pagerduty" => Format::PagerDuty(routing_key(table, format.span())?),
            other => return Err((format.span(), format!("\"{other}\" is no format; they are json, slack, pagerduty"))),
        },
    };
    let is_pagerduty = matches!(format, Format::PagerDuty(_));
    let key = table.routing_key.as_ref().or(table.routing_key_env.as_ref());
    if let Some(key) = key.filter(|_| !is_pagerduty) {
        return Err((key.span(), "a routing key is for format = \"pagerduty\"".to_owned()));
    }
    let untold = |event: &&HookEvent| matches!(event.kind(), Kind::Before | Kind::After);
    if let Some(event) = on.iter().find(untold).filter(|_| is_pagerduty) {
        return Err((table.on.span(), format!("{event} neither opens nor solves an incident of PagerDuty")));
    }
    let address = match (&table.webhook, &table.webhook_env) {
        (Some(address), None) => Secret::said(checked(address)?),
        (None, Some(name)) => Secret::of_variable(name.get_ref().clone()),
        (None, None) if is_pagerduty => Secret::said(PAGERDUTY.to_owned()),
        (None, None) => return Err((span, "a hook needs run, webhook or webhook_env".to_owned())),
        (Some(_), Some(name)) => return Err((name.span(), "the address stands in the file already".to_owned())),
    };
    let retries = table.retries.as_ref().map_or(3, |retries| *retries.get_ref());
    if let Some(said) = table.retries.as_ref().filter(|_| retries > MOST_RETRIES) {
        return Err((said.span(), format!("retries is {retries}; {MOST_RETRIES} at the most")));
    }
    Ok(Call::Webhook { address, format, retries })
}

/// The text itself is not repeated: it may hold a token.
fn checked(address: &Spanned<String>) -> Result<String, Wrong> {
    let text = address.get_ref();
    if is_address(text) {
        Ok(text.clone())
    } else {
        Err((address.span(), "an address begins with https:// or http://".to_owned()))
    }
}

pub(super) fn is_address(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn routing_key(table: &HookTable, span: Range<usize>) -> Result<Secret, Wrong> {
    match (&table.routing_key, &table.routing_key_env) {
        (Some(key), None) => Ok(Secret::said(key.get_ref().clone())),
        (None, Some(name)) => Ok(Secret::of_variable(name.get_ref().clone())),
        (None, None) => Err((span, "PagerDuty needs routing_key or routing_key_env".to_owned())),
        (Some(_), Some(name)) => Err((name.span(), "the key stands in the file already".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn said(text: &str) -> String {
        match Config::parse(text, Path::new("crossfade.toml")) {
            Ok(config) => format!("{:?}", config.hooks.each),
            Err(error) => error.to_string(),
        }
    }

    fn hook(lines: &str) -> String {
        said(&format!("[[hooks]]\n{lines}\n"))
    }

    #[test]
    fn errors_name_the_place() {
        assert!(
            hook("on = [\"before-lunch\"]\nrun = \"x\"")
                .starts_with("crossfade.toml:2:7: \"before-lunch\" is no event")
        );
        assert!(hook("on = []\nrun = \"x\"").starts_with("crossfade.toml:2:6: a hook that is on nothing"));
        assert!(hook("on = [\"ready\"]").starts_with("crossfade.toml:1:1: a hook needs run, webhook or webhook_env"));
        assert!(hook("on = [\"ready\"]\nrun = \"x\"\nrequired = true").starts_with("crossfade.toml:4:12: only a hook"));
        assert!(
            hook("on = [\"ready\"]\nrun = \"x\"\nretries = 1")
                .starts_with("crossfade.toml:4:11: this is for a webhook")
        );
        assert!(hook("on = [\"ready\"]\nrun = \"x\"\nwebhook = \"http://x\"").contains("either a command"));
        assert!(
            hook("on = [\"ready\"]\nrun = \"x\"\ntimeout = \"5\"")
                .starts_with("crossfade.toml:4:11: \"5\" has no unit")
        );
        assert!(hook("on = [\"ready\"]\nrun = \"x\"\nwhat = 1").contains("unknown field `what`"));
        assert!(
            hook("on = [\"before-contract\"]\nwebhook = \"http://x\"\nrequired = true").contains("can't be required")
        );
        assert!(hook("on = [\"failed\"]\nwebhook_env = \"X\"\nformat = \"xml\"").contains("\"xml\" is no format"));
        assert!(hook("on = [\"failed\"]\nformat = \"pagerduty\"").contains("needs routing_key"));
        assert!(
            hook("on = [\"after-expand\"]\nformat = \"pagerduty\"\nrouting_key_env = \"K\"")
                .starts_with("crossfade.toml:2:6: after-expand neither opens")
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let wrong = hook("on = [\"failed\"]\nwebhook = \"hooks.example/s3cret\"");
        assert!(wrong.contains("begins with https://") && !wrong.contains("s3cret"), "{wrong}");
        let right = hook("on = [\"failed\"]\nwebhook = \"https://hooks.example/s3cret\"");
        assert!(right.contains("hook 1 (webhook)") && !right.contains("s3cret"), "{right}");
        let key = hook("on = [\"failed\"]\nformat = \"pagerduty\"\nrouting_key = \"s3cret\"");
        assert!(key.contains("PagerDuty") && !key.contains("s3cret"), "{key}");
    }

    #[test]
    fn variables_are_read_by_the_caller() {
        let text = "[[hooks]]\non = [\"failed\"]\nwebhook_env = \"SLACK_URL\"\nformat = \"slack\"\n";
        let mut config = Config::parse(text, Path::new("crossfade.toml")).unwrap();
        let address = |config: &Config| match &config.hooks.each[0].call {
            Call::Webhook { address, .. } => address.read().map(str::to_owned),
            Call::Command { .. } => Err("a command".to_owned()),
        };
        assert_eq!(address(&config), Err("SLACK_URL is not set".to_owned()));
        config.hooks.resolve(&|name| (name == "SLACK_URL").then(|| "https://x/y".to_owned()));
        assert_eq!(address(&config), Ok("https://x/y".to_owned()));
    }
}
