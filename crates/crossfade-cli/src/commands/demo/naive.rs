//! The same change without Crossfade, in the two ways that people take. Both are an outage, and the second loses data.

use std::sync::Arc;

use crossfade::Result;
use crossfade::scratch::ScratchServer;

use super::DemoArgs;
use super::people::say;
use super::scene::Scene;
use super::stats::Stats;

/// Plays both; returns how many rows were compared.
pub async fn play(server: &ScratchServer, args: &DemoArgs, stats: &Arc<Stats>) -> Result<u64> {
    Ok(rename(server, args, stats).await? + update(server, args, stats).await?)
}

/// One statement, instantly done. No code that runs knows the new name, and the deploy takes its time.
async fn rename(server: &ScratchServer, args: &DemoArgs, stats: &Arc<Stats>) -> Result<u64> {
    say("");
    say("First without Crossfade, the direct way: rename the column, then deploy.");
    say("");
    let scene = Scene::open(server, args, stats, "direct-rename").await?;
    scene.begin("baseline", "old code only: it reads and writes the column email");
    scene.pass(3.0).await;
    scene.begin("rename", "one statement, done at once; the running code does not know the new name");
    scene.run(&["ALTER TABLE users RENAME COLUMN email TO email_address"]).await?;
    scene.pass(2.0).await;
    scene.begin("deploy", "one application server after the other gets the new code");
    scene.deploy(4.0).await;
    scene.begin("deployed", "new code only: it reads and writes the column email_address");
    scene.pass(2.0).await;
    scene.close().await
}

/// A new column, one big UPDATE, and the deploy: what old code writes during and after the UPDATE is not copied.
async fn update(server: &ScratchServer, args: &DemoArgs, stats: &Arc<Stats>) -> Result<u64> {
    say("");
    say("Second, the careful way: add a column, copy it with one UPDATE, deploy, drop the old column.");
    say("");
    let scene = Scene::open(server, args, stats, "big-update").await?;
    scene.begin("baseline", "old code only: it reads and writes the column email");
    scene.pass(3.0).await;
    scene.begin("copy", "one UPDATE locks every row until all are copied; the index locks out writes again");
    let copy = [
        "ALTER TABLE users ADD COLUMN email_address varchar(255)",
        "UPDATE users SET email_address = email",
        "ALTER TABLE users ADD UNIQUE (email_address)",
    ];
    scene.run(&copy).await?;
    scene.pass(1.0).await;
    scene.begin("deploy", "one application server after the other gets the new code: neither sees the other's writes");
    scene.deploy(4.0).await;
    scene.begin("deployed", "new code only: it reads and writes the column email_address");
    scene.pass(2.0).await;
    scene.begin("drop", "the old column goes, and with it what was written only there");
    scene.run(&["ALTER TABLE users DROP COLUMN email"]).await?;
    scene.pass(1.0).await;
    scene.close().await
}
