"""Light curves of sources, and times at the barycentre of the solar system."""
