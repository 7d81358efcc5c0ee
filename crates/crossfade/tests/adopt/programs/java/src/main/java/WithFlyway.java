import org.flywaydb.core.Flyway;

/** Runs a folder of migrations: HOST PORT USER DATABASE FOLDER. */
public class WithFlyway {
    public static void main(String[] args) {
        String url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/" + args[3];
        Flyway.configure().dataSource(url, args[2], "").locations("filesystem:" + args[4]).load().migrate();
    }
}
