//! The forms of views.

use crossfade_core::catalog::View;
use crossfade_core::sql::ServerText;
use tokio_postgres::Client;

use super::Found;
use super::server_text;

/// What would be lost where a view is made again: GRANT speaks for the owner only, a new view begins with what the role's default privileges give, and
/// what is on a rule or a trigger has no statement here. MAINTAIN says nothing of a view, and one that is older than 17 lacks it.
const VIEWS: &str = "
    SELECT c.oid, rtrim(btrim(pg_get_viewdef(c.oid)), ';') AS definition,
           (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ' ORDER BY o.option_name)
              FROM pg_options_to_table(c.reloptions) AS o) AS options,
           ARRAY(SELECT rtrim(pg_get_ruledef(r.oid), ';') FROM pg_rewrite AS r
                  WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' ORDER BY r.rulename)
           || ARRAY(SELECT pg_get_triggerdef(g.oid) FROM pg_trigger AS g
                     WHERE g.tgrelid = c.oid AND NOT g.tgisinternal ORDER BY g.tgname) AS attached,
           ARRAY(
               SELECT 'it is a part of an extension'
                WHERE EXISTS (SELECT FROM pg_depend AS d
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
               UNION ALL
               SELECT 'somebody else than its owner granted rights on it'
                WHERE EXISTS (SELECT FROM aclexplode(c.relacl) AS g WHERE g.grantor <> c.relowner)
                   OR EXISTS (SELECT FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS g
                               WHERE a.attrelid = c.oid AND g.grantor <> c.relowner)
               UNION ALL
               SELECT 'its owner has not all rights on it'
                WHERE c.relacl IS NOT NULL
                  AND EXISTS (SELECT g.privilege_type FROM aclexplode(acldefault('r', c.relowner)) AS g
                               WHERE g.grantee = c.relowner AND g.privilege_type <> 'MAINTAIN'
                              EXCEPT
                              SELECT g.privilege_type FROM aclexplode(c.relacl) AS g WHERE g.grantee = c.relowner)
               UNION ALL
               SELECT 'default privileges give more rights on a new view'
                WHERE EXISTS (SELECT FROM pg_default_acl AS d
                               WHERE d.defaclobjtype = 'r' AND d.defaclrole = current_user::regrole
                                 AND d.defaclnamespace IN (0, c.relnamespace))
               UNION ALL
               SELECT 'a rule of it is disabled, or has a comment'
                WHERE EXISTS (SELECT FROM pg_rewrite AS r
                               WHERE r.ev_class = c.oid
                                 AND (r.ev_enabled <> 'O' OR obj_description(r.oid, 'pg_rewrite') IS NOT NULL))
               UNION ALL
               SELECT 'a trigger of it is disabled, or has a comment'
                WHERE EXISTS (SELECT FROM pg_trigger AS g
                               WHERE g.tgrelid = c.oid
                                 AND (g.tgenabled <> 'O' OR obj_description(g.oid, 'pg_trigger') IS NOT NULL))
               UNION ALL
               SELECT 'it has a security label'
                WHERE EXISTS (SELECT FROM pg_seclabel AS s WHERE s.classoid = 'pg_class'::regclass AND s.objoid = c.oid)
           ) AS lost
      FROM unnest($1) AS t(oid)
      JOIN pg_class AS c ON c.oid = t.oid
     WHERE c.relkind = 'v'";

/// Fills the forms of all views. Those dropped since the snapshot have no definition any more and are left out.
pub(super) async fn read(client: &Client, found: &mut Found) -> Result<(), tokio_postgres::Error> {
    for row in found.query(client, VIEWS).await? {
        let Some(definition) = server_text(&row, "definition")? else { continue };
        let attached: Vec<String> = row.try_get("attached")?;
        let view = View {
            definition,
            options: server_text(&row, "options")?,
            attached: attached.into_iter().map(ServerText::from_server).collect(),
            lost: row.try_get("lost")?,
        };
        if let Some(table) = found.table(row.try_get("oid")?) {
            table.view = Some(view);
        }
    }
    Ok(())
}
