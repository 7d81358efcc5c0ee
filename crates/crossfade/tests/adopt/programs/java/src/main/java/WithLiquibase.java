import java.nio.file.Path;
import java.sql.DriverManager;
import liquibase.command.CommandScope;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.Scope;
import liquibase.resource.DirectoryResourceAccessor;

/** Runs the changelogs in SQL of a folder, one after the other: HOST PORT USER DATABASE FOLDER. */
public class WithLiquibase {
    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/" + args[3];
        var database = DatabaseFactory.getInstance()
            .findCorrectDatabaseImplementation(new JdbcConnection(DriverManager.getConnection(url, args[2], "")));
        Scope.child(Scope.Attr.resourceAccessor, new DirectoryResourceAccessor(Path.of(args[4])), () -> {
            for (String file : new String[] {"changelog/001_users.sql", "changelog/002_names.sql"}) {
                new CommandScope("update")
                    .addArgumentValue("changelogFile", file)
                    .addArgumentValue("database", database)
                    .execute();
            }
        });
    }
}
