//! What the settings come to, and that no secret gets out.

use super::tls::Roots;
use super::*;

fn variables<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
}

/// Display, user and password of what a URL and variables come to, or the error.
fn resolve(url: Option<&str>, pairs: &[(&str, &str)]) -> String {
    let lookup = variables(pairs);
    match Target::resolve(url, &|name| lookup(name).or((name == "PGUSER").then(|| "me".to_owned())), None) {
        Ok(target) => {
            let password = target.password_for(&target.hosts[0]).unwrap_or_default();
            format!("{} {} {password} {:?}", target.display(), target.user, target.tls.mode)
        }
        Err(error) => error.to_string(),
    }
}

fn check(url: &str, expected: &str) {
    assert_eq!(resolve(Some(url), &[]), expected, "{url}");
}

fn mode(url: &str) -> Option<(SslMode, Roots)> {
    Target::from_url(url).ok().map(|target| (target.tls.mode, target.tls.roots))
}

#[test]
fn urls() {
    check("postgres://u:p@h:5433/d", "h:5433/d u p Prefer");
    check("postgresql://u@h", "h:5432/u u  Prefer");
    check("postgres://h/d", "h:5432/d me  Prefer");
    check("postgres://u:p%40%2f%25@h/d%20e?sslmode=disable", "h:5432/d e u p@/% Disable");
    check("postgres://u:p@ss@h/d", "h:5432/d u p@ss Prefer");
    check("postgres://u:p?x@h/d", "h:5432/d u p?x Prefer");
    check("postgres://a:1,b:2/d?user=me@tenant", "a:1,b:2/d me@tenant  Prefer");
    check("postgres://[::1]:5433/d", "::1:5433/d me  Prefer");
    check("postgres://%2Frun%2Fpg:5433/d", "/run/pg:5433/d me  Prefer");
    check("postgres:///d?host=/run/pg&port=5433", "/run/pg:5433/d me  Prefer");
    check("postgres://h/d?ssl=true&application_name=x", "h:5432/d me  Require");
}

#[test]
fn pairs() {
    check("host=h port = 5433 dbname='a b' user=u password='it\\'s \\\\'", "h:5433/a b u it's \\ Prefer");
    check("host=h dbname=d password=a\\ b sslmode=require", "h:5432/d me a b Require");
    check("shop", "the database URL can't be read: it is neither a URL nor key=value");
    check("host=h password='x", "the database URL can't be read: a ' is not closed");
}

#[test]
fn variables_fill_what_is_missing() {
    let pairs = [("PGHOST", "h"), ("PGPORT", "5433"), ("PGDATABASE", "d"), ("PGPASSWORD", "s"), ("PGUSER", "u")];
    assert_eq!(resolve(None, &pairs), "h:5433/d u s Prefer");
    assert_eq!(resolve(Some("postgres://x@other/shop"), &pairs), "other:5433/shop x s Prefer");
    assert_eq!(resolve(None, &[("PGHOST", "/run/pg"), ("PGSSLMODE", "verify-full")]), "/run/pg:5432/me me  VerifyFull");
    assert_eq!(resolve(None, &[("PGHOST", "h"), ("PGPORT", "x")]), "PGPORT is \"x\", and that is no port");
    assert!(resolve(None, &[("PGSSLMODE", "yes")]).starts_with("PGSSLMODE is \"yes\", and it must be disable"));
}

#[test]
fn timeouts_and_options() {
    let read = |pairs: &[(&str, &str)]| Target::from_variables(&variables(pairs), None).unwrap();
    assert_eq!(read(&[("PGUSER", "u")]).connect_timeout, Some(Duration::from_secs(10)));
    assert_eq!(read(&[("PGCONNECT_TIMEOUT", "3")]).connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(read(&[("PGCONNECT_TIMEOUT", "0")]).connect_timeout, None);
    assert_eq!(read(&[("PGOPTIONS", "-c geqo=off")]).options.as_deref(), Some("-c geqo=off"));
}

#[test]
fn sslmode_as_libpq_has_it() {
    assert_eq!(mode("postgres://h/d?sslmode=allow"), Some((SslMode::Allow, Roots::System)));
    assert_eq!(mode("postgres://h/d?sslmode=verify-full"), Some((SslMode::VerifyFull, Roots::System)));
    let file = Roots::File(PathBuf::from("/ca.crt"));
    assert_eq!(mode("postgres://h/d?sslmode=require&sslrootcert=/ca.crt"), Some((SslMode::VerifyCa, file)));
    assert_eq!(mode("postgres://h/d?sslrootcert=system"), Some((SslMode::VerifyFull, Roots::System)));
    assert_eq!(mode("postgres://h/d?sslrootcert=system&sslmode=require"), None);
    assert_eq!(mode("postgres://h/d?sslmode=maybe"), None);
}

#[test]
fn the_password_file_is_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    std::fs::write(&path, "localhost:5432:d:u:by-socket\nh:*:d:u:by-name\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let password = |url: &str| {
        let target = Target::resolve(Some(url), &|_| None, Some(home.path())).unwrap();
        target.password_for(&target.hosts[0])
    };
    assert_eq!(password("postgres://u@h:7000/d").as_deref(), Some("by-name"));
    assert_eq!(password("postgres://u@/d?host=/tmp").as_deref(), Some("by-socket"));
    assert_eq!(password("postgres://u@other/d"), None);
    assert_eq!(password("postgres://u:own@h/d").as_deref(), Some("own"));
}

/// A home with a service file, a folder of the system's, and what they come to.
struct Services {
    home: tempfile::TempDir,
    system: tempfile::TempDir,
}

impl Services {
    fn new(own: &str, system: &str) -> Services {
        let services = Services { home: tempfile::tempdir().unwrap(), system: tempfile::tempdir().unwrap() };
        std::fs::write(services.home.path().join(".pg_service.conf"), own).unwrap();
        std::fs::write(services.system.path().join("pg_service.conf"), system).unwrap();
        services
    }

    /// Display, user and password, or the error, with the folder's name out of it.
    fn resolve(&self, url: Option<&str>, pairs: &[(&str, &str)]) -> String {
        let system = self.system.path().display().to_string();
        let given = variables(pairs);
        let lookup = |name: &str| given(name).or_else(|| (name == "PGSYSCONFDIR").then(|| system.clone()));
        match Target::resolve(url, &lookup, Some(self.home.path())) {
            Ok(target) => {
                let password = target.password_for(&target.hosts[0]).unwrap_or_default();
                format!("{} {} {password}", target.display(), target.user)
            }
            Err(error) => {
                let text = format!("{} {}", error.chain(), error.hint_text().unwrap_or_default());
                text.replace(&system, "SYSTEM").replace(&self.home.path().display().to_string(), "HOME")
            }
        }
    }
}

#[test]
fn a_service_that_is_wrong_is_named_without_its_values() {
    let own = "[lost]\nhost=h\nsecret\n[nested]\nservice=secret\n[odd]\nsecret=secret\n[port]\nport=secret\nuser=u\n[ldap]\nldap://secret/x\n";
    let services = Services::new(own, "");
    let check = |service: &str, expected: &str| {
        let text = services.resolve(Some(&format!("service={service} user=u")), &[]);
        assert!(text.starts_with(expected) && !text.contains("secret"), "{text}");
    };
    check("none", "there is no service \"none\" looked for [none] in HOME/.pg_service.conf and SYSTEM/pg_service.conf");
    check("lost", "HOME/.pg_service.conf:3: that is neither key=value nor [service]");
    check("nested", "HOME/.pg_service.conf:5: a service can't name another one");
    check("odd", "HOME/.pg_service.conf:7: that keyword is not known");
    check("port", "HOME/.pg_service.conf:9: port: that is no port");
    check("ldap", "HOME/.pg_service.conf:12: a service by LDAP is not read here");
    let absent = services.resolve(None, &[("PGSERVICE", "lost"), ("PGSERVICEFILE", "/nowhere/at/all")]);
    assert!(absent.starts_with("the service file /nowhere/at/all can't be read: No such file"), "{absent}");
}

/// What is expected was tried with psql.
#[test]
fn a_service_stands_between_the_url_and_the_variables() {
    let own = "# ours\n\n[shop]\n  host=own  \nport=5433\nport=5434\ndbname=shop\nuser=u\npassword=p=1 #\n\n[other]\nhost=o\n";
    let services =
        Services::new(own, "[shop]\nhost=system\n[system]\nhost=system\ndbname=d\nuser=s\nsslmode=require\n");
    assert_eq!(services.resolve(Some("service=shop"), &[]), "own:5433/shop u p=1 #");
    assert_eq!(services.resolve(Some("postgres://me@h/?service=shop"), &[]), "h:5433/shop me p=1 #");
    let pairs = [("PGSERVICE", "shop"), ("PGHOST", "variable"), ("PGPASSWORD", "variable")];
    assert_eq!(services.resolve(None, &pairs), "own:5433/shop u p=1 #");
    assert_eq!(services.resolve(None, &[("PGSERVICE", "system"), ("PGPASSWORD", "v")]), "system:5432/d s v");
    assert_eq!(services.resolve(Some("service=other"), &[("PGUSER", "v")]), "o:5432/v v ");
    // An empty one is none.
    assert_eq!(services.resolve(None, &[("PGSERVICE", ""), ("PGHOST", "v"), ("PGUSER", "v")]), "v:5432/v v ");
    let elsewhere = services.home.path().join("elsewhere");
    std::fs::write(&elsewhere, "[shop]\nhost=elsewhere\nuser=e").unwrap();
    let pairs = [("PGSERVICE", "shop"), ("PGSERVICEFILE", elsewhere.to_str().unwrap())];
    assert_eq!(services.resolve(None, &pairs), "elsewhere:5432/e e ");
}

#[test]
fn nothing_repeats_a_password() {
    let wrong = [
        "postgres://u:secret/x@h/d",
        "postgres://u:secret@h:secret/d",
        "postgres://u:secret@h/d?sslmode=secret",
        "postgres://u:p?secret/x@h/d",
        "postgres://u:p?Secret1=x/y@h/d",
        "postgres://u:%secret@h/d",
        "host=h password=a secret",
        "host=h password='secret",
        "postgres://h/d?connect_timeout=secret",
        "mysql://u:secret@h/d",
    ];
    for url in wrong {
        let error = Target::from_url(url).err().unwrap_or_else(|| panic!("{url}"));
        let text = format!("{error:?} {error} {} {:?}", error.chain(), error.hint_text()).to_lowercase();
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(error.kind(), crate::error::ErrorKind::Usage);
    }
    let target = Target::from_url("postgres://u:secret@h/d").unwrap();
    assert_eq!(format!("{target:?} {}", target.display()), "Target(h:5432/d) h:5432/d");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    let target = Target::from_url("postgres://u:secret@127.0.0.1:1/d").unwrap();
    let error = target.connect("test").await.err().unwrap();
    assert_eq!(error.to_string(), "could not connect to 127.0.0.1:1/d as u");
    assert!(error.hint_text().unwrap().starts_with("is the server running there?"), "{}", error.chain());
    assert!(!format!("{error:?}{}", error.chain()).contains("secret"));
}
